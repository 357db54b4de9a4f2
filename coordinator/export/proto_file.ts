/** Protocol buffers by reflection: reads a `.proto` file of this folder and encodes plain objects as one of its messages. */

import { readFile } from "node:fs/promises";
import protobuf from "protobufjs";

export type Encode = (message: object) => Uint8Array<ArrayBuffer>;

/** Fields are named in camel case. Throws where a message does not fit its description: our own bug. */
export async function encoderOf(file: string, messageName: string): Promise<Encode> {
  const text = await readFile(new URL(file, import.meta.url), "utf8");
  const type = protobuf.parse(text).root.lookupType(messageName);
  return (message) => {
    const problem = type.verify(message);
    if (problem) throw new Error(`invariant violation: ${messageName}: ${problem}`);
    const { buffer, byteOffset, byteLength } = type.encode(message).finish();
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  };
}
