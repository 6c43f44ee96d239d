// Shows a form that uses a passkey where the browser has them, and says so when one was not used.
// Browsers know none for an address that is a number: there they are offered at http://localhost only.
const works = window.PublicKeyCredential !== undefined && !/^[\d.]+$|:/.test(location.hostname);

for (const form of document.querySelectorAll("[data-passkey]")) {
  form.hidden = !works;
}
for (const hint of document.querySelectorAll("[data-no-passkey]")) {
  hint.hidden = works;
}
document.addEventListener("allauth.error", (event) => {
  event.preventDefault();
  document.getElementById("passkey_fault").hidden = false;
});
