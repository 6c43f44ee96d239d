// Shows how far an export has come. Without this script the browser downloads the file by itself.
(() => {
  "use strict";

  async function read(answer, bar, text) {
    const pieces = [];
    let rows = 0;
    for (const reader = answer.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return pieces;
      pieces.push(value);
      for (const byte of value) rows += byte === 10;
      bar.value = rows;
      text.textContent = `${rows.toLocaleString()} ${text.dataset.working}`;
    }
  }

  function save(pieces, answer) {
    const link = document.createElement("a");
    const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
    link.href = URL.createObjectURL(new Blob(pieces, { type: "text/csv" }));
    link.download = name ? name[1] : "export.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  async function send(form) {
    const shown = form.querySelector(".export-progress");
    const [bar, text] = shown.children;
    shown.hidden = false;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new FormData(form) });
      const type = answer.headers.get("Content-Type") ?? "";
      if (!answer.ok || !type.startsWith("text/csv")) return form.submit(); // the page says why
      save(await read(answer, bar, text), answer);
      bar.value = bar.max;
      text.textContent = text.dataset.done;
    } catch {
      text.textContent = text.dataset.failed;
    }
  }

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-export]") || !window.ReadableStream) return;
    event.preventDefault();
    send(event.target);
  });
})();
