"use strict";
/* Data files: scripts that hand over a document, each loaded once, when it is needed. */

document.documentElement.classList.add("scripted");

const memtools = (() => {
  const ARRAYS = { u1: Uint8Array, u2: Uint16Array, u4: Uint32Array, i4: Int32Array, f4: Float32Array };
  const waiting = new Map();
  const promises = new Map();

  function promised(name) {
    if (!promises.has(name)) {
      promises.set(name, new Promise((resolve, reject) => waiting.set(name, { resolve, reject })));
    }
    return promises.get(name);
  }

  /* Called by every data file. */
  function receive(name, document) {
    promised(name);
    waiting.get(name).resolve(unpacked(document));
  }

  /* The document of a data file, such as "level/7". */
  function load(name) {
    if (promises.has(name)) return promises.get(name);
    const script = document.createElement("script");
    script.src = `data/${name}.js`;
    script.addEventListener("error", () => {
      waiting.get(name).reject(new Error(`${script.src} cannot be read: is the report whole?`));
      promises.delete(name);
    });
    script.addEventListener("load", () => script.remove());
    const found = promised(name);
    document.head.append(script);
    return found;
  }

  /* Columns become typed arrays; everything else stays as it is. */
  function unpacked(value) {
    if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
    const keys = Object.keys(value);
    if (keys.length === 1 && keys[0] in ARRAYS) return column(ARRAYS[keys[0]], value[keys[0]]);
    return Object.fromEntries(keys.map((key) => [key, unpacked(value[key])]));
  }

  function column(type, text) {
    const characters = atob(text);
    const bytes = new Uint8Array(characters.length);
    for (let k = 0; k < bytes.length; k++) bytes[k] = characters.charCodeAt(k);
    return new type(bytes.buffer);
  }

  return { receive, load };
})();
