// An equation that is wider than its column is set smaller, down to a size that can still be read; beyond that it scrolls.
"use strict";
(() => {
  const LEAST = 0.62;
  const fit = () => {
    for (const box of document.querySelectorAll("div.math")) {
      const formula = box.querySelector("mjx-container");
      if (!formula) continue;
      formula.style.fontSize = "";
      const mathematics = formula.querySelector("mjx-math");
      const number = box.querySelector(".eqno");
      const floats = number && getComputedStyle(number).float === "right";
      const room = box.clientWidth - (floats ? number.offsetWidth + 8 : 0) - 12;
      const wide = mathematics.getBoundingClientRect().width;
      if (wide > room && room > 0) {
        const scale = Math.max(LEAST, room / wide);
        formula.style.fontSize = `${100 * scale * parseFloat(getComputedStyle(formula).fontSize) / parseFloat(getComputedStyle(box).fontSize)}%`;
      }
    }
  };
  let waiting;
  window.addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(fit, 150); });
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(fit));
})();
