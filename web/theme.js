// Before anything is drawn: the theme that was chosen, or the system's. Storage may be forbidden.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("seaway-theme");
  } catch { /* the system's, then */ }
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const set = () => {
    document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
  };
  set();
  dark.addEventListener("change", set);
  globalThis.seawayTheme = () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("seaway-theme", chosen);
    } catch { /* until the page is closed */ }
    set();
  };
})();
