// What is the same for every visitor: the style, the icon, and the words in each language.
#pragma once

#include <array>
#include <string_view>

namespace shop {

struct Words {
  std::string_view language, hello, visit, cart, empty, pieces, name, another, add, dark, light, store;
};

inline constexpr std::array words{
    Words{"en", "Hello", "Visit number", "Your cart", "Nothing in it yet.", "Pieces in all:", "Your name",
          "One more thing", "Add", "Dark page", "Light page", "This page was made from the store of one request:"},
    Words{"fr", "Bonjour", "Visite numéro", "Votre panier", "Rien pour le moment.", "Pièces en tout :", "Votre nom",
          "Encore un article", "Ajouter", "Page sombre", "Page claire",
          "Cette page vient du magasin d'une seule requête :"},
    Words{"de", "Hallo", "Besuch Nummer", "Ihr Warenkorb", "Noch nichts darin.", "Stücke insgesamt:", "Ihr Name",
          "Noch etwas", "Hinzufügen", "Dunkle Seite", "Helle Seite", "Diese Seite stammt aus dem Store einer Anfrage:"},
    Words{"es", "Hola", "Visita número", "Su cesta", "Todavía no hay nada.", "Piezas en total:", "Su nombre",
          "Algo más", "Añadir", "Página oscura", "Página clara", "Esta página sale del store de una sola petición:"},
};

inline constexpr std::string_view style =
    R"css(:root { --paper: #fbfaf7; --ink: #26241f; --faint: #6b675e; --accent: #1f6f5c; }
[data-theme="dark"] { --paper: #1b1d1f; --ink: #eceae4; --faint: #a09c92; --accent: #7fd1b9; color-scheme: dark; }
body { background: var(--paper); color: var(--ink); font: 17px/1.5 system-ui, sans-serif; margin: 0; }
main, footer { max-width: 34rem; margin: 0 auto; padding: 1rem 1.25rem; }
h1 { color: var(--accent); margin: 1rem 0 0; overflow-wrap: anywhere; }
li { overflow-wrap: anywhere; }
footer, .visit { color: var(--faint); font-size: 0.9rem; margin-top: 0; }
label { display: block; margin: 0.75rem 0; }
input { display: block; width: 100%; box-sizing: border-box; }
input, button { font: inherit; color: inherit; background: transparent; border: 1px solid var(--faint);
  border-radius: 6px; padding: 0.35rem 0.7rem; }
button { cursor: pointer; border-color: var(--accent); }
)css";

inline constexpr std::string_view icon =
    R"svg(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" fill="none" stroke="#1f6f5c" stroke-width="2">
<ellipse cx="16" cy="16" rx="14" ry="5.5"/>
<ellipse cx="16" cy="16" rx="14" ry="5.5" transform="rotate(60 16 16)"/>
<ellipse cx="16" cy="16" rx="14" ry="5.5" transform="rotate(120 16 16)"/>
<circle cx="16" cy="16" r="2.5" fill="#1f6f5c"/>
</svg>
)svg";

}  // namespace shop
