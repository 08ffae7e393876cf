// Writes an editing trace of 259 778 single-character operations (182 315 inserts and
// 77 463 deletes, the numbers of the trace of the Automerge paper, which is not on npm) as
// Yjs updates, one for each operation: runs of typing, backspaces, a cursor that jumps now
// and then.  The same file every time but for the Yjs client id.  The last update inserts
// the mark that the load generator looks for.
// usage: node maketrace.mjs FILE
import { createWriteStream } from 'node:fs'
import * as Y from 'yjs'

const INSERTS = 182315
const DELETES = 77463

let seed = 1
const random = () => {
  seed = (seed * 48271) % 2147483647 // Lehmer generator
  return seed / 2147483647
}

const out = createWriteStream(process.argv[2])
const doc = new Y.Doc()
const text = doc.getText('t')
let bytes = 0
doc.on('update', (update) => {
  const head = Buffer.alloc(4)
  head.writeUInt32LE(update.length)
  out.write(head)
  out.write(update)
  bytes += update.length
})

let inserts = 0
let deletes = 0
let cursor = 0
while (inserts < INSERTS || deletes < DELETES) {
  if (random() < 0.01) cursor = Math.floor(random() * (text.length + 1))
  const typing = random() < 0.75 && inserts < INSERTS
  const run = 1 + Math.floor(random() * (typing ? 40 : 50))
  for (let k = 0; k < run; k++) {
    if (typing && inserts < INSERTS) {
      const letter = 'etaoin shrdlucmfwypvbgkjqxz'[Math.floor(random() ** 2 * 27)]
      text.insert(cursor++, letter)
      inserts++
    } else if (deletes < DELETES && inserts - deletes > 0) {
      if (cursor === 0) cursor = text.length
      text.delete(--cursor, 1)
      deletes++
    } else break
  }
}
text.insert(text.length, '~00000000000002a')
out.end(() => console.log(`${inserts} inserts, ${deletes} deletes, ${bytes} bytes`))
