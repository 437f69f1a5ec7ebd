// Before the first picture: the theme that was chosen here, or the one that an embedding page asks for.
(() => {
  const asked = new URLSearchParams(location.search).get("theme");
  let theme = asked;
  try {
    theme ??= localStorage.getItem("memleak-theme");
  } catch {
    // Storage may be forbidden; the system's theme it is then.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
