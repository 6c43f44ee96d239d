// The open box of the admin: Ctrl K or the entry in the menu opens it, and results come while one
// types. What is typed goes by POST: a pasted key must stand in no address. Without this script the
// entry is a link to the page that does the same.
(() => {
  "use strict";

  const PAUSE_MS = 250; // between the last key and the question
  let timer = 0;
  let asked = new AbortController();

  function openBox(box) {
    if (box.open) return;
    box.showModal();
    const input = box.querySelector("input[type=search]");
    input.focus();
    input.select();
  }

  function emptyBox(box) {
    clearTimeout(timer);
    asked.abort();
    box.querySelector("input[type=search]").value = "";
    box.querySelector("#find-results").replaceChildren();
  }

  async function ask(box) {
    const form = box.querySelector("form");
    const body = new FormData(form);
    const results = box.querySelector("#find-results");
    asked.abort();
    asked = new AbortController();
    if (!String(body.get("q")).trim()) return results.replaceChildren();
    body.append("box", "1");
    try {
      const answer = await fetch(form.action, { method: "POST", body, signal: asked.signal });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      results.innerHTML = await answer.text();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      const note = document.createElement("p");
      note.className = "find-note";
      note.textContent = box.dataset.problem;
      results.replaceChildren(note);
    }
  }

  function move(box, step) {
    const places = [box.querySelector("input[type=search]"), ...box.querySelectorAll(".find-list a")];
    const next = places.indexOf(document.activeElement) + step;
    places[Math.max(0, Math.min(next, places.length - 1))].focus();
  }

  function prepare(box) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    document.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      openBox(box);
    });
    box.addEventListener("keydown", (event) => {
      if (!(event.key in steps)) return;
      event.preventDefault();
      move(box, steps[event.key]);
    });
    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, PAUSE_MS, box);
    });
    box.addEventListener("click", (event) => {
      if (event.target === box || event.target.closest("[data-find-close]")) box.close();
    });
    box.addEventListener("close", () => emptyBox(box));
    for (const opener of document.querySelectorAll("[data-find-open]")) {
      opener.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        openBox(box);
      });
    }
  }

  document.addEventListener("DOMContentLoaded", () => {
    const box = document.getElementById("find-box");
    if (box) prepare(box);
  });
})();
