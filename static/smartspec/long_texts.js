// In tables, cuts what would make a row high or the table wide: one long word after a line, many
// words after two. The whole text stays in the page, so it can be copied and found; it is shown by
// its title, and in place when it has the focus: by Tab, a click or a touch.
(() => {
  "use strict";

  const LISTS = ["#content table:not(.list)", "main table:not(.list)"];
  const CELLS = LISTS.map((list) => `${list} tbody :is(td, th)`).join(", ");
  const LONGEST_WORD = 28;
  const LONGEST_TEXT = 120;

  function findLongestWord(text) {
    const words = text.split(/\s+/).flatMap((word) => {
      // A browser breaks lines inside Thai by itself, between words that no space divides.
      const broken = /[\p{Script=Thai}\p{Script=Han}]/u.test(word) && window.Intl?.Segmenter;
      if (!broken) return [word];
      const segmenter = new Intl.Segmenter("th", { granularity: "word" });
      return Array.from(segmenter.segment(word), (part) => part.segment);
    });
    return Math.max(...words.map((word) => word.length));
  }

  function cut(node) {
    const text = node.data.trim();
    const isWord = findLongestWord(text) > LONGEST_WORD;
    if (!isWord && text.length <= LONGEST_TEXT) return;
    const span = document.createElement("span");
    span.className = isWord ? "long long-word" : "long";
    span.title = text;
    if (!node.parentElement.closest("a, button, label, summary")) span.tabIndex = 0;
    node.replaceWith(span);
    span.append(node);
  }

  // The lists of the admin come with their long texts marked. On a phone each cell has its label.
  function label(list) {
    const titles = Array.from(list.tHead.rows[0].cells, (cell) => cell.textContent.trim());
    for (const row of list.tBodies[0].rows) {
      Array.from(row.cells).forEach((cell, number) => {
        if (!cell.matches(".pick")) cell.dataset.label = titles[number];
      });
    }
    for (const text of list.querySelectorAll(".long")) {
      text.title = text.textContent.trim();
      if (!text.closest("a")) text.tabIndex = 0;
    }
    list.classList.add("labelled");
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.querySelectorAll("table.list").forEach(label);
    document.querySelector("#nav-sidebar-apps .active")?.scrollIntoView({ block: "nearest" });
    for (const cell of document.querySelectorAll(CELLS)) {
      const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
      const nodes = [];
      while (walker.nextNode()) nodes.push(walker.currentNode);
      nodes.filter((node) => !node.parentElement.closest("script, style, pre, .secret")).forEach(cut);
    }
  });
})();
