// A formula that is wider than its column is set smaller, down to a size that can still be read; beyond that it scrolls.
"use strict";
(() => {
  const LEAST = 0.62;

  // all widths are read before any is changed, so that the page is laid out twice and not once a formula
  const fit = () => {
    const formulas = [...document.querySelectorAll("article mjx-container")];
    for (const formula of formulas) formula.style.fontSize = formula.dataset.size ?? (formula.dataset.size = formula.style.fontSize);
    const measured = formulas.map((formula) => {
      const box = formula.closest("div.math") ?? formula.closest("p, li, dd, td, h1, h2, h3, summary") ?? formula.parentElement;
      const style = getComputedStyle(box);
      const room = box.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 2;
      return [formula, formula.querySelector("mjx-math").getBoundingClientRect().width, room, parseFloat(getComputedStyle(formula).fontSize)];
    });
    for (const [formula, wide, room, size] of measured) {
      if (room <= 0 || wide <= room) continue;
      formula.style.fontSize = `${size * Math.max(LEAST, room / wide)}px`;
      if (!formula.hasAttribute("display") && wide * LEAST > room) formula.parentElement.classList.add("wide-formula");
    }
  };

  let waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(fit, 150);
  });
  window.addEventListener("load", () => window.MathJax?.startup?.promise?.then(fit));
})();
