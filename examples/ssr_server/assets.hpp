// What is the same for every visitor: the style, the script, the icon, and the words in each language.
#pragma once

#include <array>
#include <string_view>

namespace shop {

struct Words {
  std::string_view language, itself, hello, guest, cart, empty, pieces, name, another, add, choose, store;
};

inline constexpr std::array words{
    Words{"en", "English", "Hello", "guest", "Your cart", "Nothing in it yet.", "Pieces in all:", "Your name",
          "One more thing", "Add", "Language",
          "This page was made from the store of one request, and goes on in yours."},
    Words{"fr", "Français", "Bonjour", "cher visiteur", "Votre panier", "Rien pour le moment.",
          "Pièces en tout :", "Votre nom", "Encore un article", "Ajouter", "Langue",
          "Cette page vient du magasin d'une seule requête, et continue dans votre navigateur."},
    Words{"de", "Deutsch", "Hallo", "Gast", "Ihr Warenkorb", "Noch nichts darin.", "Stücke insgesamt:", "Ihr Name",
          "Noch etwas", "Hinzufügen", "Sprache",
          "Diese Seite stammt aus dem Store einer Anfrage und lebt in Ihrem Browser weiter."},
    Words{"es", "Español", "Hola", "visitante", "Su cesta", "Todavía no hay nada.", "Piezas en total:", "Su nombre",
          "Algo más", "Añadir", "Idioma", "Esta página sale del store de una sola petición y sigue en su navegador."},
};

/// Null for a language that the shop does not speak.
constexpr const Words* words_in(std::string_view language) {
  for (const Words& w : words) {
    if (w.language == language) return &w;
  }
  return nullptr;
}

inline constexpr std::string_view style =
    R"css(:root { color-scheme: light dark; --paper: #fbfaf7; --ink: #26241f; --faint: #6b675e; --accent: #1f6f5c; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #1b1d1f; --ink: #eceae4; --faint: #a09c92; --accent: #7fd1b9; }
}
body { background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, sans-serif; margin: 0; }
main, footer { max-width: 34rem; margin: 0 auto; padding: 1rem 1.25rem; }
h1 { color: var(--accent); margin: 1rem 0 0; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; }
footer { color: var(--faint); font-size: 0.9rem; }
label { display: block; margin: 0.75rem 0; }
input, select { display: block; width: 100%; box-sizing: border-box; }
input, select, button { font: inherit; color: inherit; background: transparent; border: 1px solid var(--faint);
  border-radius: 6px; padding: 0.35rem 0.7rem; }
option { background: var(--paper); }
button { cursor: pointer; border-color: var(--accent); }
)css";

// The page works without it: then a language is chosen with the button.
inline constexpr std::string_view script =
    R"js(// The browser goes on where the server stopped: the values are in the page, by the keys of the atoms.
const state = JSON.parse(document.getElementById("atom-state").textContent);
const form = document.querySelector("form");

function show() {
  for (const element of document.querySelectorAll("[data-atom]")) {
    const value = element.dataset.atom.split(".").reduce((part, step) => part?.[step], state);
    element.textContent = value || element.dataset.otherwise;
  }
}
form.elements.name.addEventListener("input", (event) => {
  state.user.name = event.target.value.trim();
  show();
});
form.elements.locale.addEventListener("change", (event) => {
  state.locale = event.target.value;
  form.requestSubmit();
});
// Whatever is sent back, the server takes of it what a client may write, and that is the locale.
form.addEventListener("submit", () => {
  form.elements.state.value = JSON.stringify({ locale: state.locale });
});
show();
// After a form a reload asks for the page, and does not send the form again.
if (!location.search) history.replaceState(null, "", location.href);
)js";

inline constexpr std::string_view icon =
    R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#1f6f5c" stroke-width="2">
<ellipse cx="16" cy="16" rx="14" ry="5.5"/>
<ellipse cx="16" cy="16" rx="14" ry="5.5" transform="rotate(60 16 16)"/>
<ellipse cx="16" cy="16" rx="14" ry="5.5" transform="rotate(120 16 16)"/>
<circle cx="16" cy="16" r="2.5" fill="#1f6f5c"/>
</svg>
)svg";

}  // namespace shop
