// Writes the code as the device shows it, XXXX-XXXX, while it is typed. The form works without.
const field = document.getElementById("user_code");

function written(typed) {
  const letters = typed.toUpperCase().replace(/[^A-Z0-9]/g, "").slice(0, 8);
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters;
}

field.addEventListener("input", () => {
  // In the middle of the text the cursor must not jump.
  if (field.selectionStart === field.value.length) {
    field.value = written(field.value);
  }
});
field.addEventListener("blur", () => {
  field.value = written(field.value);
});
