/**
 * How a well-known data set comes into the user's cache (`drove data get`): what is there is checked, and what is missing or
 * damaged is made anew beside it, checked, and put in its place.
 */

import type { DatasetDescription } from "./description.ts";
import { DataError } from "./idx.ts";
import { fillFolder, isThere } from "./whole_folder.ts";

export interface GetOptions {
  /** How long npm may take. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Told what takes long. */
  readonly onStep?: (sentence: string) => void;
}

export interface GetResult {
  readonly description: DatasetDescription;
  readonly folder: string;
  readonly wasThere: boolean;
}

interface Getting {
  readonly folder: string;
  readonly onStep: (sentence: string) => void;
  /** Throws a `DataError` unless the folder holds the whole set. */
  readonly describe: (folder: string) => Promise<DatasetDescription>;
  /** Fills `made`; `aside` is for what is not kept. */
  readonly make: (made: string, aside: string) => Promise<void>;
}

export async function getWhole({ folder, onStep, describe, make }: Getting): Promise<GetResult> {
  if (await isThere(folder)) {
    try {
      return { description: await describe(folder), folder, wasThere: true };
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      onStep(`What is there is fetched anew: ${error.message}`);
    }
  }
  const description = await fillFolder(
    folder,
    async (made, aside) => {
      await make(made, aside);
      onStep("Verifying it");
      return describe(made);
    },
    "set DROVE_DATA to another folder",
  );
  return { description, folder, wasThere: false };
}
