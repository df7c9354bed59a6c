// Runs Perfetto's trace processor, which is made for a web worker, on requests from standard input. Each reply is
// written behind its length. Arguments: the folder of the engine.
const fs = require('fs');
const path = require('path');
const { argv, exit } = process;
const requests = new Uint8Array(fs.readFileSync(0));

globalThis.self = globalThis;
globalThis.WorkerGlobalScope = function () {};
globalThis.importScripts = () => {};
globalThis.location = { href: 'http://localhost/', search: '' };
globalThis.XMLHttpRequest = class {
  open(method, url) {
    this.file = path.join(argv[2], path.basename(url));
  }
  send() {
    this.response = new Uint8Array(fs.readFileSync(this.file)).buffer;
    this.status = 200;
  }
};
delete globalThis.process;
(0, eval)(fs.readFileSync(path.join(argv[2], 'engine_bundle.js'), 'utf8'));

function write(data) {
  for (let done = 0; done < data.length; ) done += fs.writeSync(1, data, done);
}
const port = {
  postMessage(reply) {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(reply.length);
    write(length);
    write(Buffer.from(reply));
  },
};
// Once it has been compiled, and what waits for that has been done.
setTimeout(() => {
  globalThis.onmessage({ data: port });
  port.onmessage({ data: requests });
  exit(0);
}, 100);
