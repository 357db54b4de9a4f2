/**
 * The certificate of an https coordinator: files that the operator has, or a self-signed one for a lab, which volunteers
 * accept once. On other machines than this one a browser gives WebGPU only to https pages.
 */

import { createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import { hostname } from "node:os";
import { ConfigError, type TlsConfig } from "../run_config.ts";
import { networkAddresses } from "./addresses.ts";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** Browsers refuse longer ones. */
const VALID_DAYS = 397;

export async function certificateFor(tls: TlsConfig, host: string): Promise<Certificate> {
  if (tls === "self-signed") return selfSigned(host);
  return { cert: await readPem(tls.certificate, "CERTIFICATE"), key: await readPem(tls.key, "PRIVATE KEY") };
}

/** By which programs know a certificate that nobody vouches for: base64 of the SHA-256 of its public key. */
export function keyHashOf(certificate: X509Certificate): string {
  return createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("base64");
}

async function selfSigned(host: string): Promise<Certificate> {
  const names = new Set(["localhost", "127.0.0.1", "::1", hostname(), host, ...networkAddresses()]);
  const altNames = [...names].map((name) =>
    isIP(name) === 0 ? { type: 2 as const, value: name } : { type: 7 as const, ip: name },
  );
  const notBeforeDate = new Date();
  const notAfterDate = new Date(notBeforeDate.getTime() + VALID_DAYS * 24 * 3600 * 1000);
  // Loaded only where it is needed: it takes a fifth of a second.
  const { generate } = await import("selfsigned");
  const made = await generate([{ name: "commonName", value: "Drove coordinator" }], {
    keyType: "ec",
    curve: "P-256",
    algorithm: "sha256",
    notBeforeDate,
    notAfterDate,
    extensions: [
      { name: "basicConstraints", cA: false },
      { name: "keyUsage", digitalSignature: true, keyEncipherment: true },
      { name: "extKeyUsage", serverAuth: true },
      { name: "subjectAltName", altNames },
    ],
  });
  return { cert: made.cert, key: made.private };
}

async function readPem(path: string, kind: "CERTIFICATE" | "PRIVATE KEY"): Promise<string> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new ConfigError(`${path} cannot be read (${error.code}); pass the PEM file with --tls-cert or --tls-key.`);
  });
  if (text.includes(`${kind}-----`)) return text;
  throw new ConfigError(
    `${path} holds no PEM ${kind.toLowerCase()}; pass the right file with --${kind === "CERTIFICATE" ? "cert" : "key"}.`,
  );
}
