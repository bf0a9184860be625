// Whether another site has made a browser send a post. Its cookie would be missing, so it would come from a new client,
// whose cookie then takes the place of the visitor's own. The one rule: ask before any cookie is sent.
#pragma once

#include <cstddef>
#include <string_view>

/// By its headers Sec-Fetch-Site, Origin and Host, as far as there are any: what is no browser sends neither of the
/// first two.
inline bool is_from_elsewhere(std::string_view fetch_site, std::string_view origin, std::string_view host) {
  if (!fetch_site.empty()) return fetch_site != "same-origin" && fetch_site != "none";
  if (origin.empty()) return false;
  const std::size_t scheme = origin.find("://");
  return scheme == origin.npos || origin.substr(scheme + 3) != host;
}
