// Light or dark: as the system has it, until the button is pressed.

const KEPT = "digitnet-theme";

export function startTheme(button) {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
  const kept = localStorage.getItem(KEPT);
  if (kept) root.dataset.theme = kept;

  function label() {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Light colours" : "Dark colours");
    dispatchEvent(new Event("themechange"));
  }
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    localStorage.setItem(KEPT, root.dataset.theme);
    label();
  });
  dark.addEventListener("change", label);
  label();
}
