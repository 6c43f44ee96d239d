// The chat. It sends questions to the gateway with the session of this browser, and keeps the chat
// and what is being typed in this tab only (sessionStorage). Nothing of it is stored on the server.
const at = (name) => document.getElementById(`chat-${name}`);
const root = document.getElementById("chat");
const [log, field, model, send, stop] = ["log", "question", "model", "send", "stop"].map(at);
const words = new Map([...at("texts").content.querySelectorAll("[data-text]")]
  .map((node) => [node.dataset.text, node]));
const RECEIPT_SECONDS = [0.5, 1, 2, 4, 8];
const BYTES_PER_TOKEN = 3.3;
const LOGGED_OUT = [401, 403];
const HINT = at("size").textContent;

// --- What this tab keeps ---------------------------------------------------------------------

const KEPT = `chat of ${root.dataset.user}`;
const EMPTY = { turns: [], draft: "", asked: "", key: "", model: "" };
let kept = { ...EMPTY, ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") };
let running = null; // the AbortController of the question that is being answered

for (const name of Object.keys(sessionStorage)) {
  if (name.startsWith("chat of ") && name !== KEPT) {
    sessionStorage.removeItem(name); // of somebody else who was logged in in this tab
  }
}

function keep(changes) {
  kept = { ...kept, ...changes };
  try {
    sessionStorage.setItem(KEPT, JSON.stringify(kept));
  } catch {
    sessionStorage.removeItem(KEPT);
    tell("not-kept");
  }
}

// --- Words -----------------------------------------------------------------------------------

function text(name, count) {
  const number = Number(count).toLocaleString(document.documentElement.lang);
  return words.get(name).textContent.replace(/\s+/g, " ").trim().replace("{n}", number);
}

function tell(name, { message, link, count } = {}) {
  at("problem").replaceChildren(message || text(name, count));
  for (const node of link ? [words.get(link).cloneNode(true)] : []) {
    at("problem").append(" ", node);
  }
  at("problem").hidden = false;
}

function describeCost(credits) {
  return credits === 1 ? text("one") : text("many", credits);
}

// Show in the header what is left after an answer.
function showAvailable(credits) {
  const [number, unit] = document.querySelectorAll(".balance span, .balance small");
  if (number && Number.isInteger(credits)) {
    number.textContent = credits.toLocaleString(document.documentElement.lang);
    unit.textContent = describeCost(credits).replace(/^\S+\s/, "");
  }
}

function describeSize() {
  const sent = [...kept.turns.map((turn) => turn.content), field.value].join("");
  const tokens = Math.ceil(new TextEncoder().encode(sent).length / BYTES_PER_TOKEN);
  at("size").textContent = field.value.trim()
    ? text(kept.turns.length ? "growing" : "size", tokens) : HINT;
}

// --- Turns on the page -----------------------------------------------------------------------

function isAtEnd() {
  return innerHeight + scrollY >= document.documentElement.scrollHeight - 120;
}

// Change the page, and follow its end if the reader was there.
function follow(change) {
  const wasAtEnd = isAtEnd();
  change();
  if (wasAtEnd) {
    scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  }
}

function addTurn(part) {
  const turn = at(`${part}-part`).content.firstElementChild.cloneNode(true);
  follow(() => log.append(turn));
  at("empty").hidden = true;
  return turn;
}

function addQuestion(content) {
  const turn = addTurn("question");
  turn.querySelector(".as-written").textContent = content;
  return turn;
}

function addAnswer() {
  const turn = addTurn("answer");
  turn.querySelector(".chat-cost").textContent = text("waiting");
  turn.growing = new window.GrowingText(turn.querySelector(".chat-text"), follow);
  return turn;
}

// Show what belongs to an answer that has ended: a note, its cost, the receipt, the copy button.
function finishAnswer(turn, answer) {
  const [note, cost, receipt, copy] = ["note", "cost", "receipt", "copy"]
    .map((name) => turn.querySelector(`.chat-${name}`));
  note.textContent = answer.note ? `${text(answer.note)} ${answer.problem ?? ""}` : "";
  note.hidden = !answer.note;
  cost.textContent = Number.isInteger(answer.credits) ? describeCost(answer.credits) : "";
  if (answer.generation) {
    showReceipt(receipt, answer.generation);
  }
  copy.hidden = !answer.content;
  copy.onclick = () => copyText(copy, answer.content);
}

function showReceipt(link, generation) {
  link.href = root.dataset.receipt.replace("gen_x", generation);
  link.hidden = false;
}

async function copyText(button, content) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(content);
  } else { // a page without TLS has no clipboard
    const place = document.createElement("textarea");
    place.value = content;
    document.body.append(place);
    place.select();
    document.execCommand("copy");
    place.remove();
  }
  button.textContent = text("copied");
  setTimeout(() => { button.textContent = text("copy"); }, 2000);
}

// --- One question ----------------------------------------------------------------------------

function makeKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function request(question) {
  const messages = [...kept.turns, { role: "user", content: question }]
    .map(({ role, content }) => ({ role, content }));
  return fetch("/v1/chat/completions", {
    method: "POST",
    signal: running.signal,
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": kept.key,
      "X-CSRFToken": at("ask").elements.csrfmiddlewaretoken.value,
    },
    body: JSON.stringify({
      model: model.value, messages, stream: true, stream_options: { include_usage: true },
    }),
  });
}

// Give the data of each server-sent event to `take`. A character may come in two halves.
async function readEvents(response, take) {
  const [reader, decoder] = [response.body.getReader(), new TextDecoder()];
  let [rest, data] = ["", []];
  for (let done = false; !done;) {
    const piece = await reader.read();
    done = piece.done;
    const lines = (rest + decoder.decode(piece.value, { stream: !done })).split(/\r?\n/);
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:")) {
        data.push(line.slice(5).trimStart());
      } else if (line === "" && data.length) {
        take(data.join("\n"));
        data = [];
      }
    }
  }
}

function takeEvent(data, turn, answer) {
  if (data === "[DONE]") {
    answer.isWhole = true;
    return;
  }
  const event = JSON.parse(data);
  if (event.error) {
    answer.note = "broken";
    answer.problem = String(event.error.message ?? "");
    return;
  }
  answer.credits = event._credits?.used ?? answer.credits;
  showAvailable(event._credits?.remaining);
  const choice = event.choices?.[0];
  const piece = choice?.delta?.content;
  if (typeof piece === "string" && piece) {
    answer.content += piece;
    turn.querySelector(".chat-cost").textContent = "";
    turn.growing.add(piece);
  } else if (!answer.content && (choice?.delta?.reasoning_content || choice?.delta?.reasoning)) {
    turn.querySelector(".chat-cost").textContent = text("thinking");
  }
  const endings = { length: "length", content_filter: "filtered" };
  answer.note ||= endings[choice?.finish_reason] ?? "";
}

async function readAnswer(response, turn, answer) {
  answer.generation = response.headers.get("x-generation-id");
  try {
    await readEvents(response, (data) => takeEvent(data, turn, answer));
    answer.note ||= answer.isWhole ? "" : "broken";
  } catch {
    answer.note = running.signal.aborted ? "stopped" : "broken";
  }
  turn.growing.end();
}

// Ask for the charge of an answer that ended without its bill.
async function lookUpBill(answer) {
  for (const seconds of RECEIPT_SECONDS) {
    await new Promise((resolve) => { setTimeout(resolve, seconds * 1000); });
    const response = await fetch(`/v1/generation?id=${encodeURIComponent(answer.generation)}`);
    if (response.ok) {
      const { charged, balance_after: available } = (await response.json()).credits;
      showAvailable(available);
      return charged;
    }
  }
  return undefined;
}

async function explainRefusal(response) {
  const error = (await response.json().catch(() => ({}))).error ?? {};
  const seconds = Number(response.headers.get("Retry-After"));
  if (LOGGED_OUT.includes(response.status)) {
    tell("logged-out", { link: "log-in" });
  } else if (response.status === 402) {
    const count = error.credits_required ?? 1;
    tell("no-credits", { count, link: "shop" });
  } else if (response.status === 413) {
    tell("too-long");
  } else if (response.status === 429 && seconds) {
    tell("wait", { count: seconds });
    countDown(seconds);
  } else {
    tell("failed", { message: error.message });
  }
  if (error.generation_id && !seconds) { // the same question was answered already
    const receipt = at("answer-part").content.querySelector(".chat-receipt").cloneNode(true);
    showReceipt(receipt, error.generation_id);
    at("problem").append(" ", receipt);
    keep({ key: "" });
  }
}

function countDown(seconds) {
  send.disabled = seconds > 0;
  send.textContent = seconds > 0 ? `${text("send")} (${seconds})` : text("send");
  if (seconds > 0) {
    setTimeout(countDown, 1000, seconds - 1);
  } else {
    at("problem").hidden = true;
  }
}

function setRunning(controller) {
  running = controller;
  send.hidden = Boolean(controller);
  stop.hidden = !controller;
  log.setAttribute("aria-busy", String(Boolean(controller)));
}

// Take the question back into the field, in front of what has been typed meanwhile. Without a new
// key the same request is never answered twice.
function takeBack(question, turns, wasStopped) {
  const isSame = !field.value && !wasStopped;
  turns.forEach((turn) => turn.remove());
  field.value = [question, field.value].filter(Boolean).join("\n");
  keep({ draft: field.value, asked: "", key: isSame ? kept.key : "" });
  at("empty").hidden = log.children.length > 0;
  describeSize();
}

async function ask(question) {
  const controller = new AbortController();
  setRunning(controller);
  at("problem").hidden = true;
  field.value = "";
  keep({ asked: question, draft: "", key: kept.key || makeKey() });
  describeSize();
  const turns = [addQuestion(question), addAnswer()];
  const answer = { role: "assistant", content: "" };
  const response = await request(question).catch((error) => error);
  if (response.ok) {
    await readAnswer(response, turns[1], answer);
  } else if (response instanceof Response) {
    await explainRefusal(response);
  } else if (!controller.signal.aborted) {
    tell("offline");
  }
  setRunning(null);
  if (controller.isAbandoned) {
    return;
  }
  if (answer.content) {
    await finish(question, turns[1], answer);
  } else {
    explainEmpty(answer);
    takeBack(question, turns, controller.signal.aborted);
  }
}

function explainEmpty(answer) {
  if (answer.note && answer.note !== "stopped") {
    tell(answer.note, { message: answer.problem });
  }
}

async function finish(question, turn, answer) {
  const turns = [...kept.turns, { role: "user", content: question }, answer];
  keep({ turns, asked: "", key: "" });
  follow(() => finishAnswer(turn, answer));
  if (answer.credits === undefined && answer.generation) {
    answer.credits = await lookUpBill(answer);
    keep({});
    finishAnswer(turn, { ...answer, note: answer.credits === undefined ? "unknown" : answer.note });
  }
  at("said").textContent = `${text(answer.note || "answered")} ${
    turn.querySelector(".chat-cost").textContent}`;
}

// --- The form --------------------------------------------------------------------------------

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  field.focus();
  if (!running && !send.disabled && field.value.trim()) {
    ask(field.value.trim());
  }
});
field.addEventListener("keydown", (event) => {
  // While an input method composes (Thai, Japanese), Enter chooses a word. Safari says 229 then.
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
    event.preventDefault();
    at("ask").requestSubmit();
  }
});
field.addEventListener("input", () => {
  keep({ draft: field.value, key: running ? kept.key : "" });
  describeSize();
});
stop.addEventListener("click", () => {
  running?.abort();
  field.focus();
});
model.addEventListener("change", () => keep({ model: model.value, key: "" }));
at("new").addEventListener("click", () => {
  if (running) {
    running.isAbandoned = true;
    running.abort();
  }
  log.replaceChildren();
  at("empty").hidden = false;
  at("problem").hidden = true;
  keep({ turns: [], asked: "", key: "" });
  describeSize();
  field.focus();
});
for (const form of document.querySelectorAll("form[action*='/logout']")) {
  form.addEventListener("submit", () => sessionStorage.removeItem(KEPT));
}

function showKept() {
  for (const turn of kept.turns) {
    if (turn.role === "user") {
      addQuestion(turn.content);
    } else {
      const shown = addAnswer();
      shown.growing.add(turn.content);
      shown.growing.end();
      finishAnswer(shown, turn);
    }
  }
  if ([...model.options].some((option) => option.value === kept.model)) {
    model.value = kept.model;
  }
  field.value = [kept.asked, kept.draft].filter(Boolean).join("\n");
  keep({ asked: "", draft: field.value, key: kept.draft ? "" : kept.key });
}

showKept();
root.hidden = false;
describeSize();
field.focus();
