// Checks a receipt where it is looked at, with nothing but the browser's own hashes and signatures: that the entry stands
// in the tree whose root was signed (RFC 6962), and by whose keys (C2SP signed-note, tlog-cosignature). The keys are those
// that this server names; who does not trust it compares them, or uses notary.
"use strict";

const bytesOf = (b64) => Uint8Array.from(atob(b64), (c) => c.charCodeAt(0));
const utf8 = new TextEncoder();
const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { all.set(p, at); at += p.length; }
  return all;
};
const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
const same = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
const hex = (b) => Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");

const parse = (text) => {
  const cut = text.indexOf("\n\n");
  const lines = text.slice(0, cut).split("\n");
  if (cut < 0 || lines[0] !== "c2sp.org/tlog-proof@v1" || !lines[1].startsWith("extra ") || !/^index [0-9]+$/.test(lines[2])) throw new Error("tlog-proof");
  const note = text.slice(cut + 2);
  const end = note.lastIndexOf("\n\n");
  const signed = note.slice(0, end + 1);
  const [origin, size, root] = signed.split("\n");
  const signatures = note.slice(end + 2).split("\n").filter(Boolean).map((line) => {
    const [dash, name, sig] = line.split(" ");
    if (dash !== "\u2014") throw new Error("signature");
    const raw = bytesOf(sig);
    return { name, id: hex(raw.slice(0, 4)), sig: raw.slice(4) };
  });
  return { leaf: bytesOf(lines[1].slice(6)), index: Number(lines[2].slice(6)), hashes: lines.slice(3).map(bytesOf), signed, origin, size: Number(size), root: bytesOf(root), signatures };
};

// RFC 9162, 2.1.3.2. Numbers are halved, not shifted: a shift has 32 bits.
const rootOf = async (leaf, index, size, hashes) => {
  if (!(index < size)) return null;
  let at = index, last = size - 1;
  let r = await sha256(Uint8Array.of(0), leaf);
  for (const h of hashes) {
    if (last === 0) return null;
    if (at % 2 === 1 || at === last) {
      r = await sha256(Uint8Array.of(1), h, r);
      while (at % 2 === 0 && at !== 0) { at = Math.floor(at / 2); last = Math.floor(last / 2); }
    } else {
      r = await sha256(Uint8Array.of(1), r, h);
    }
    at = Math.floor(at / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 ? r : null;
};

const keysOf = (policy) => policy.split("\n").map((l) => l.trim().split(/\s+/)).filter((f) => f[0] === "log" || f[0] === "witness").map((f) => {
  const [name, id, ...rest] = (f[0] === "log" ? f[1] : f[2]).split("+");
  const key = bytesOf(rest.join("+"));
  return { log: f[0] === "log", name, id, kind: key[0], key: key.slice(1) };
});

const verify = async (k, s, text) => {
  const key = await crypto.subtle.importKey("raw", k.key, { name: "Ed25519" }, false, ["verify"]);
  if (k.kind === 1) return crypto.subtle.verify({ name: "Ed25519" }, key, s.sig, utf8.encode(text));
  if (k.kind !== 4 || s.sig.length !== 72) return false;
  const seconds = new DataView(s.sig.buffer, s.sig.byteOffset, 8).getBigUint64(0);
  return crypto.subtle.verify({ name: "Ed25519" }, key, s.sig.slice(8), utf8.encode("cosignature/v1\ntime " + seconds + "\n" + text));
};

for (const section of document.querySelectorAll("[data-receipt]")) {
  const list = section.querySelector("ol"), verdict = section.querySelector(".verdict"), said = section.dataset;
  const step = (ok, text) => {
    const li = document.createElement("li");
    li.textContent = (ok ? "✓ " : "✗ ") + text;
    li.className = ok ? "on_time" : "missing";
    list.append(li);
    if (!ok) throw new Error(said.wrong);
  };
  section.querySelector("button").addEventListener("click", async () => {
    list.replaceChildren();
    verdict.textContent = "";
    try {
      if (!window.crypto || !crypto.subtle) throw new Error(said.unable);
      const [receipt, policy] = await Promise.all([fetch(said.receipt), fetch(said.policy)]);
      if (receipt.status === 202) throw new Error(said.bare);
      if (!receipt.ok || !policy.ok) throw new Error(said.unable);
      const p = parse(await receipt.text());
      const entry = JSON.parse(new TextDecoder().decode(p.leaf));
      step(Object.values(entry).includes(said.event) && Object.values(entry).includes(p.origin), said.entry);
      const root = await rootOf(p.leaf, p.index, p.size, p.hashes);
      step(root !== null && same(root, p.root), said.path + " (" + p.index + " / " + p.size + ")");
      let logged = 0;
      const witnesses = [];
      for (const k of keysOf(await policy.text())) {
        for (const s of p.signatures.filter((s) => s.name === k.name && s.id === k.id)) {
          let good;
          try { good = await verify(k, s, p.signed); } catch { throw new Error(said.unable); }
          if (!good) step(false, s.name);
          if (k.log) logged++; else witnesses.push(k.name);
        }
      }
      step(logged > 0, said.signed + " (" + p.origin + ")");
      if (witnesses.length > 0) step(true, said.witnessed + ": " + witnesses.join(", "));
      verdict.textContent = said.holds;
    } catch (e) {
      verdict.textContent = e.message;
    }
  });
}
