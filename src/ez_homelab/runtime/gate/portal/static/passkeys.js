"use strict";

(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;

  const toBytes = (text) => {
    const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  };
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

  const withIds = (list) => (list || []).map((one) => ({ ...one, id: toBytes(one.id) }));

  const ask = async (path, csrf, body) => {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: JSON.stringify(body),
      credentials: "same-origin",
    });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error || "That did not work. Reload the page and try again.");
    return said;
  };

  const create = async (options) => {
    const made = await navigator.credentials.create({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        user: { ...options.user, id: toBytes(options.user.id) },
        excludeCredentials: withIds(options.excludeCredentials),
      },
    });
    return {
      id: made.id,
      rawId: toText(made.rawId),
      type: made.type,
      response: {
        clientDataJSON: toText(made.response.clientDataJSON),
        attestationObject: toText(made.response.attestationObject),
        transports: made.response.getTransports ? made.response.getTransports() : [],
      },
    };
  };

  const get = async (options) => {
    const shown = await navigator.credentials.get({
      publicKey: {
        ...options,
        challenge: toBytes(options.challenge),
        allowCredentials: withIds(options.allowCredentials),
      },
    });
    return {
      id: shown.id,
      rawId: toText(shown.rawId),
      type: shown.type,
      response: {
        clientDataJSON: toText(shown.response.clientDataJSON),
        authenticatorData: toText(shown.response.authenticatorData),
        signature: toText(shown.response.signature),
        userHandle: shown.response.userHandle ? toText(shown.response.userHandle) : null,
      },
    };
  };

  const more = {
    "sign-in": (box) => {
      const remember = document.getElementById("remember");
      return { rd: box.dataset.rd, rm: box.dataset.rm, remember: Boolean(remember && remember.checked) };
    },
    "second-factor": (box) => ({ rd: box.dataset.rd, rm: box.dataset.rm }),
    add: () => ({ name: document.getElementById("passkey-name").value }),
  };

  const inWords = (problem) => {
    if (problem.name === "NotAllowedError") return "No passkey was used. You can try again.";
    if (problem.name === "InvalidStateError") return "This device already has a passkey for you.";
    if (problem.name === "SecurityError") return "This browser does not use passkeys on this address.";
    return problem.message;
  };

  const run = async (box) => {
    const kind = box.dataset.passkey;
    const path = `/passkeys/${kind}`;
    const options = await ask(`${path}/options`, box.dataset.csrf, {});
    const credential = kind === "add" ? await create(options) : await get(options);
    const done = await ask(path, box.dataset.csrf, { ...more[kind](box), credential });
    window.location.assign(done.location);
  };

  for (const box of document.querySelectorAll("[data-passkey]")) {
    const button = box.querySelector("button");
    const told = box.querySelector("[role=alert]");
    box.hidden = false;
    const way = box.closest("#passkey-way");
    if (way) way.hidden = false;
    button.addEventListener("click", async () => {
      told.hidden = true;
      button.disabled = true;
      try {
        await run(box);
      } catch (problem) {
        told.textContent = inWords(problem);
        told.hidden = false;
      } finally {
        button.disabled = false;
      }
    });
  }
})();
