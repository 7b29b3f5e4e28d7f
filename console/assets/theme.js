// @ts-check
// Before anything is drawn, so that no page flashes in the wrong colours: the one script that is no module.
(() => {
  const chosen = localStorage.getItem("theme");
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
