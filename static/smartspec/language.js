// A change of language or theme opens the page anew. What has been typed into its form is kept meanwhile, in
// this tab only; passwords, codes and hidden fields are not.
const KEPT = "typed before a change of language";
const fields = () => [...document.querySelectorAll("main form")].flatMap((form, number) =>
  [...form.elements]
    .filter((field) => field.name && field.autocomplete !== "one-time-code"
      && !["password", "hidden", "file", "submit", "button"].includes(field.type))
    .map((field) => [`${number} ${field.name} ${field.type === "checkbox" || field.type === "radio"
      ? field.value : ""}`, field]));

function isChecked(field) {
  return field.type === "checkbox" || field.type === "radio";
}

function keepTyped(event) {
  const typed = fields().map(([name, field]) =>
    [name, isChecked(field) ? field.checked : field.value]);
  const path = new URL(event.target.elements.next.value, location.href).pathname;
  sessionStorage.setItem(KEPT, JSON.stringify({ path, typed }));
}

for (const form of document.querySelectorAll("form[data-language]")) {
  form.addEventListener("submit", keepTyped);
}

const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
sessionStorage.removeItem(KEPT);
if (kept?.path === location.pathname) {
  const typed = new Map(kept.typed);
  for (const [name, field] of fields().filter(([each]) => typed.has(each))) {
    field[isChecked(field) ? "checked" : "value"] = typed.get(name);
  }
}
