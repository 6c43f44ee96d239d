// Writes the code as the device shows it, XXXX-XXXX, while it is typed, and finds it in what is
// pasted, as accounts/toolbox/typed/codes.py does on the server. The form works without.
const LETTERS = "([BCDFGHJKLMNPQRSTVWXZ]{4})";
const WORDS = [" *[-_] *", "[ .,:/]*"].map((middle) =>
  new RegExp(`(?:^|[^A-Z0-9])(?=${LETTERS}${middle}${LETTERS}(?![A-Z0-9]))`, "g"));
const KEYS = "QWERTYUIOPASDFGHJKLZXCVBNM";
const LOOK_ALIKES = pairs("ВСНЈКМРЅТХԌԚԜΒΗΚΜΝΡΤΧΖϹϿͿ", "BCHJKMPSTXGQWBHKMNPTXZCCJ");
// A Thai keyboard (Kedmanee), without and with shift.
const THAI_KEYS = pairs(
  "ๆไำพะัีรนยฟหกดเ้่าสผปแอิืท" + '๐"ฎฑธํ๊ณฯญฤฆฏโฌ็๋ษศ()ฉฮฺ์?' + "ข", `${KEYS}${KEYS}-`);
const THAI = /[\u0e00-\u0e7f]/;
const MAX_TYPED = 2000;

function pairs(from, to) {
  return new Map([...from].map((letter, index) => [letter, to[index]]));
}

function translated(text, map) {
  return [...text].map((letter) => map.get(letter) ?? letter).join("");
}

function unescaped(escapes) {
  try {
    return decodeURIComponent(escapes);
  } catch {
    return escapes;
  }
}

function folded(typed) {
  let text = typed;
  for (let times = 0; times < 3; times += 1) {
    text = text.replace(/(?:%[0-9A-Fa-f]{2})+/g, unescaped);
  }
  text = text.normalize("NFKC").replace(/\p{Nd}/gu, "0")
    .replace(/[\p{Cf}\p{Mn}\p{Me}]/gu, (mark) => (THAI.test(mark) ? mark : ""))
    .replace(/[\p{Zs}\p{Zl}\p{Zp}\p{Cc}]/gu, " ");
  return translated(text.toUpperCase(), LOOK_ALIKES).replace(/[‐-―−⁃⸺⸻〜〰゠ー·•~]/g, "-");
}

function whole(text) {
  const letters = text.replace(/[^\p{L}\p{N}]/gu, "");
  return /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/.test(letters) ? letters : null;
}

function word(text) {
  for (const pattern of WORDS) {
    const codes = new Set([...text.matchAll(pattern)].map((found) => found[1] + found[2]));
    if (codes.size > 0) {
      return codes.size === 1 ? [...codes][0] : null;
    }
  }
  return null;
}

function findCode(typed) {
  if ([...typed].length > MAX_TYPED) {
    return null;
  }
  const text = folded(typed);
  const link = text.match(/USER_CODE=([^&#\s"'<>]+)/);
  const code = (link && whole(link[1])) || whole(text) || word(text);
  return code || !THAI.test(typed) ? code : whole(folded(translated(typed, THAI_KEYS)));
}

// What is typed so far: a whole code, the beginning of one, or something else, which stays.
function written(typed) {
  const code = findCode(typed);
  const letters = code ?? typed.toUpperCase().replace(/[ -]/g, "");
  if (!/^[A-Z]{0,8}$/.test(letters)) {
    return typed;
  }
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

const field = document.getElementById("user_code");

field.addEventListener("input", () => {
  // In the middle of the text the cursor must not jump.
  if (field.selectionStart === field.value.length) {
    field.value = written(field.value);
  }
});
field.addEventListener("blur", () => {
  field.value = written(field.value);
});
