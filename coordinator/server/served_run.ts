/** What the server needs of a run: to describe it, to show it, and to hand it connections. `Run` has all of it. */

import type { RunSettings } from "../../shared/run_settings.ts";
import type { RunView } from "../../shared/run_view.ts";
import type { RefusalCode } from "../../shared/wire/codes.ts";
import type { FrameBytes } from "../../shared/wire/frame.ts";
import type { Link } from "../../shared/wire/link.ts";
import type { PublishedCenters } from "./center_files.ts";
import type { OpenSidePath } from "../side_path.ts";

interface ServedSession {
  receive(bytes: FrameBytes): void;
  refuse(code: RefusalCode): void;
  /** The connection is gone. */
  closed(): void;
}

export interface ServedRun {
  readonly settings: RunSettings;
  /** The length of this run's parameters as f32: decides how long a frame may be. */
  readonly payloadBytes: number;
  readonly elements: number;
  readonly incarnation: number;
  /** Of its published centers. */
  readonly stream: PublishedCenters;
  readonly isOver: boolean;
  /** `openSidePath`: where it may come by another way too. */
  connect(link: Link, openSidePath?: OpenSidePath): ServedSession;
  view(): RunView;
  /** For what the socket refuses before a session could see it. */
  countRefusal(code: RefusalCode): void;
}
