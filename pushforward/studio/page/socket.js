// The connection to the server: requests with answers, of which the latest in a channel counts.

/**
 * @typedef {Float32Array | Int32Array | Uint8Array} Values
 * @typedef {{values: Values, shape: number[]}} NamedArray
 * @typedef {{content: any, arrays: Record<string, NamedArray>}} Answer
 * @typedef {{channel: string, resolve: (answer: Answer) => void, reject: (reason: Error) => void}} Waiting
 * @typedef {"open" | "closed" | "refused"} State  refused: a server answers, but not to this page
 */

/** A request that a later one in its channel replaced. */
export class Superseded extends Error {}

const KINDS = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array };
const RETRY = [250, 500, 1000, 2000, 4000];
const LARGEST = 64 * 2 ** 20; // bytes of a message that the server takes

export class Socket {
  /** @param {string} token @param {(state: State) => void} tell */
  constructor(token, tell) {
    this.token = token;
    this.tell = tell;
    this.last = 0;
    this.failures = 0;
    /** @type {Map<number, Waiting>} */
    this.waiting = new Map();
    /** @type {Map<number, string | Uint8Array<ArrayBuffer>>} until the connection is open */
    this.unsent = new Map();
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.socket = new WebSocket(`${scheme}://${location.host}/socket?token=${encodeURIComponent(this.token)}`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.failures = 0;
      this.tell("open");
      for (const message of this.unsent.values()) this.socket?.send(message);
      this.unsent.clear();
    };
    this.socket.onmessage = (event) => this.receive(event.data);
    this.socket.onclose = () => {
      this.tell("closed");
      if (this.failures) this.look();
      for (const { reject } of this.waiting.values()) reject(new Error("the connection to the studio broke; this was not done"));
      this.waiting.clear();
      this.unsent.clear();
      setTimeout(() => this.connect(), RETRY[Math.min(this.failures++, RETRY.length - 1)]);
    };
  }

  /** Find out whether a server is there that refuses this page, such as one that was started anew. */
  async look() {
    try {
      const { ok } = await fetch("/page/icon.svg", { cache: "no-store" });
      if (ok && this.socket?.readyState !== WebSocket.OPEN) this.tell("refused");
    } catch { /* nothing answers */ }
  }

  /**
   * Ask; the promise fails with Superseded if a later request in the same channel is answered first.
   * @param {string} verb
   * @param {Record<string, any>} [content]
   * @param {{channel?: string, file?: Uint8Array}} [more]
   * @returns {Promise<Answer>}
   */
  ask(verb, content = {}, { channel = "", file } = {}) {
    const id = ++this.last;
    const header = JSON.stringify({ id, verb, content, channel });
    const message = file ? attach(header, file) : header;
    return new Promise((resolve, reject) => {
      if (message.length > LARGEST) throw new Error(`the file has ${Math.ceil(message.length / 2 ** 20)} MB, and the studio takes ${LARGEST / 2 ** 20}`);
      this.waiting.set(id, { channel, resolve, reject });
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(message);
      else {
        if (channel) this.supersede(channel, id);
        this.unsent.set(id, message);
      }
    });
  }

  /** @param {ArrayBuffer} data */
  receive(data) {
    const { id, error, content, arrays } = parse(data);
    const found = this.waiting.get(id);
    if (!found) return;
    this.waiting.delete(id);
    if (found.channel) this.supersede(found.channel, id);
    if (error) found.reject(new Error(error));
    else found.resolve({ content, arrays });
  }

  /** @param {string} channel @param {number} before */
  supersede(channel, before) {
    for (const [id, { channel: other, reject }] of this.waiting) {
      if (other === channel && id < before) {
        this.waiting.delete(id);
        this.unsent.delete(id);
        reject(new Superseded("superseded"));
      }
    }
  }
}

/** @param {string} header @param {Uint8Array} file @returns {Uint8Array<ArrayBuffer>} */
function attach(header, file) {
  const text = new TextEncoder().encode(header);
  const message = new Uint8Array(4 + text.length + file.length);
  new DataView(message.buffer).setUint32(0, text.length, true);
  message.set(text, 4);
  message.set(file, 4 + text.length);
  return message;
}

/** @param {ArrayBuffer} data */
function parse(data) {
  const length = new DataView(data).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const start = Math.ceil((4 + length) / 8) * 8;
  /** @type {Record<string, NamedArray>} */
  const arrays = {};
  for (const { name, type, shape, offset } of header.arrays) {
    const Kind = KINDS[/** @type {keyof typeof KINDS} */ (type)];
    const count = shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    arrays[name] = { values: new Kind(data, start + offset, count), shape };
  }
  return { ...header, arrays };
}
