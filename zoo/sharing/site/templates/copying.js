"use strict";
// A button beside each text that is to be copied; without JavaScript the text can be marked by hand.
(() => {
  const said = document.getElementById("said");

  function copyMarked(code) {
    const range = document.createRange();
    range.selectNodeContents(code);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return document.execCommand("copy");
  }

  async function copy(code) {
    try {
      await navigator.clipboard.writeText(code.textContent.replace(/\n$/, ""));
      return true;
    } catch {
      return copyMarked(code);
    }
  }

  for (const button of document.querySelectorAll("button.copy")) {
    const code = button.parentElement.querySelector("code");
    let back = 0;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const done = await copy(code);
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      said.textContent = done ? `Copied: ${button.dataset.what}` : "Marked; press Ctrl+C to copy";
      clearTimeout(back);
      back = setTimeout(() => { button.textContent = "Copy"; said.textContent = ""; }, 2000);
    });
  }
})();
