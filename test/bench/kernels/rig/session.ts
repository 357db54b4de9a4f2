/** One measurement from question to answer, in a page or in a process of Node: `base` is the address of the stage's server. */

import type { Answer, Question } from "../job.ts";
import { measureConv } from "./conv.ts";
import { openRig } from "./device.ts";
import { measureKernels } from "./kernels.ts";
import { measureWasm } from "./wasm.ts";

export async function serve(base: string, gpu: GPU | undefined): Promise<void> {
  const post = async (path: string, body: string): Promise<void> => {
    await fetch(`${base}${path}`, { method: "POST", body });
  };
  const question = (await (await fetch(`${base}/question`)).json()) as Question;
  const answer = await answerTo(question, gpu, (sentence) => void post("/progress", sentence));
  await post("/answer", JSON.stringify(answer));
}

async function answerTo(question: Question, gpu: GPU | undefined, say: (sentence: string) => void): Promise<Answer> {
  try {
    const { job } = question;
    if (job.kind === "kernels" && job.backend === "wasm") {
      return { kind: "kernels", ...(await measureWasm(question, job, say)) };
    }
    if (!gpu) throw new Error("There is no WebGPU here.");
    const rig = await openRig(gpu, question, say);
    const { adapter, fmaGflops, copyGbPerSecond } = rig.peaks;
    say(`${adapter}: ${fmaGflops.toFixed(1)} GFLOP/s in registers, ${copyGbPerSecond.toFixed(2)} GB/s copied.`);
    // The peaks are looked at once more while it measures.
    if (job.kind === "conv") return { kind: "conv", products: await measureConv(rig, job), peaks: rig.peaks };
    return { kind: "kernels", workloads: await measureKernels(rig, job), peaks: rig.peaks };
  } catch (error) {
    return { kind: "failed", sentence: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
