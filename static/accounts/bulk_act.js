// Goes on with a bulk act: presses "Continue" in the response to the POST before it.
const form = document.querySelector("form[data-go-on]");
form?.requestSubmit(form.elements.namedItem("continue"));
