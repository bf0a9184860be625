// What a program says to whoever runs it.
#pragma once

#include <iostream>
#include <sstream>
#include <streambuf>
#include <string>

namespace support {

/// What is written to std::cerr meanwhile.
class Log {
 public:
  Log() : before_(std::cerr.rdbuf(text_.rdbuf())) {}
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log() { std::cerr.rdbuf(before_); }
  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

}  // namespace support
