// A button <button class="copy" data-copy="#id" hidden> copies the text or the value of the element
// that it names, and says so for two seconds. Without JavaScript it stays hidden.
(() => {
  "use strict";

  const SHOWN_MS = 2000;

  async function copy(button) {
    const source = document.querySelector(button.dataset.copy);
    const text = (source.value ?? source.textContent).trim();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(source);
      return;
    }
    const label = button.textContent;
    button.textContent = button.dataset.copied || "✓";
    button.classList.add("is-copied");
    button.disabled = true;
    setTimeout(() => {
      button.textContent = label;
      button.classList.remove("is-copied");
      button.disabled = false;
      button.focus();
    }, SHOWN_MS);
  }

  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button));
  }
})();
