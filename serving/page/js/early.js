// Before the first paint: the theme that was chosen last, so that the page does not flash. Not a module on purpose.
try {
  const chosen = localStorage.getItem("ballast-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* storage may be forbidden: the system's theme it is */ }
