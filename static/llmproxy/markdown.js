// Shows an answer of a model, which is hostile input. Two locks: markdown-it passes no HTML through,
// and DOMPurify removes what is not on a short list. Neither images nor attributes of style are made
// at all, because the browser would complain about them before DOMPurify removes them.
const LINK = /^(?:https?:\/\/|mailto:)/i;
const TAGS = ["p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "hr",
  "h3", "h4", "h5", "h6", "a", "table", "thead", "tbody", "tr", "th", "td"];
const LONGEST_BLOCK = 100000; // characters; a longer one is shown as it was written
const LONGEST_OPEN = 5000;
const DEEPEST = 50; // of 100, at which markdown-it ends

const markdown = window.markdownit({ html: false, linkify: true, typographer: false });
markdown.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false });
markdown.validateLink = (address) => LINK.test(address.trim());
markdown.renderer.rules.image = (tokens, index) => {
  const [address, text] = [tokens[index].attrGet("src"), tokens[index].content];
  return markdown.utils.escapeHtml(text ? `${text} (${address})` : address);
};
for (const name of ["th_open", "td_open"]) {
  markdown.renderer.rules[name] = (tokens, index) => `<${tokens[index].tag}>`;
}
// The page has a heading of its own: those of an answer begin two levels lower.
for (const name of ["heading_open", "heading_close"]) {
  markdown.renderer.rules[name] = (tokens, index) => {
    const level = Math.min(6, Number(tokens[index].tag.slice(1)) + 2);
    return name === "heading_open" ? `<h${level}>` : `</h${level}>`;
  };
}

const purifier = window.DOMPurify(window);
purifier.setConfig({
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["href", "title", "start"],
  ALLOWED_URI_REGEXP: LINK,
  ADD_URI_SAFE_ATTR: ["start"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  RETURN_DOM_FRAGMENT: true,
});
purifier.addHook("afterSanitizeAttributes", (node) => {
  if (node.nodeName === "A") {
    node.setAttribute("rel", "noopener noreferrer nofollow");
    node.setAttribute("target", "_blank");
  }
});

function showAsWritten(text) {
  const block = document.createElement("p");
  block.className = "as-written";
  block.textContent = text;
  return block;
}

function makeBlock(text, references) {
  const tokens = text.length > LONGEST_BLOCK ? [] : markdown.parse(text, references);
  // What follows a list that is nested too deeply would be lost.
  if (text.length > LONGEST_BLOCK || tokens.some((token) => token.level > DEEPEST)) {
    return showAsWritten(text);
  }
  const made = purifier.sanitize(
    markdown.renderer.render(tokens, markdown.options, references));
  for (const table of made.querySelectorAll("table")) {
    const frame = document.createElement("div");
    frame.className = "overflow-auto";
    frame.tabIndex = 0;
    table.replaceWith(frame);
    frame.append(table);
  }
  return made;
}

// The blocks of a text, such as paragraphs and lists. The last one may still grow.
function splitBlocks(text) {
  const tokens = [];
  markdown.block.parse(text, markdown, {}, tokens);
  const starts = tokens.filter((token) => token.level === 0 && token.map && token.nesting >= 0)
    .map((token) => token.map[0]);
  const lines = text.split("\n").map((line) => `${line}\n`);
  return [0, ...starts.slice(1)].map((start, index) =>
    lines.slice(start, starts[index + 1] ?? lines.length).join(""));
}

// A text that grows: finished blocks are rendered once, the last one is shown as it was written
// until it is finished, and the page is changed once a frame at most, within `change`.
window.GrowingText = class GrowingText {
  constructor(place, change) {
    Object.assign(this, { change, waiting: "", references: {}, frame: 0, splitFrom: 0 });
    this.open = showAsWritten("");
    place.append(this.open);
  }

  add(piece) {
    this.waiting += piece.replaceAll("\r", "").replaceAll("\0", "\ufffd");
    this.frame ||= requestAnimationFrame(() => this.show());
  }

  show() {
    this.frame = 0;
    this.change(() => {
      if (this.waiting.length >= this.splitFrom) {
        this.finishBlocks();
      }
      this.open.textContent = this.waiting;
    });
  }

  // A block that is long already is looked at again when it has grown by half, not each frame.
  finishBlocks() {
    const finished = splitBlocks(this.waiting).slice(0, -1);
    for (const block of finished) {
      this.open.before(makeBlock(block, this.references));
    }
    this.waiting = this.waiting.slice(finished.join("").length);
    this.splitFrom = this.waiting.length > LONGEST_OPEN ? this.waiting.length * 1.5 : 0;
  }

  end() {
    cancelAnimationFrame(this.frame);
    this.change(() => {
      this.finishBlocks();
      this.open.replaceWith(makeBlock(this.waiting, this.references));
    });
  }
};
