/** The controls of a replay: play and pause, the speed, the moment, and a step from event to event; and what happened last, in words. */

import { wordsOf } from "../../shared/run_event_words.ts";
import type { RunReplay } from "../../shared/run_replay.ts";
import { byId, make, setText } from "./dom.ts";
import { clock, counted } from "./format.ts";
import { ReplayPlayer, SPEEDS, type ReplayMoment } from "./replay_player.ts";

const FIRST_SPEED = 10;

export interface ReplayListener {
  moved(moment: ReplayMoment, replay: RunReplay): void;
  left(): void;
}

export class ReplayBar {
  readonly #bar = byId("replay", HTMLElement);
  readonly #title = byId("replay-title", HTMLElement);
  readonly #note = byId("replay-note", HTMLElement);
  readonly #play = byId("replay-play", HTMLButtonElement);
  readonly #scrub = byId("replay-scrub", HTMLInputElement);
  readonly #time = byId("replay-time", HTMLElement);
  readonly #event = byId("replay-event", HTMLElement);
  readonly #speed = byId("replay-speed", HTMLSelectElement);
  readonly #listener: ReplayListener;
  #player: ReplayPlayer | undefined;
  #at = -1;

  constructor(listener: ReplayListener) {
    this.#listener = listener;
    for (const speed of SPEEDS) {
      const option = make("option", "", `${speed}×`);
      option.value = String(speed);
      option.selected = speed === FIRST_SPEED;
      this.#speed.append(option);
    }
    this.#play.addEventListener("click", () => this.#toggle());
    this.#speed.addEventListener("change", () => this.#showSpeed());
    this.#scrub.addEventListener("input", () => this.#player?.seek(Number(this.#scrub.value)));
    byId("replay-back", HTMLButtonElement).addEventListener("click", () =>
      this.#player?.step(this.#player.replay.notableBefore(this.#at)),
    );
    byId("replay-on", HTMLButtonElement).addEventListener("click", () =>
      this.#player?.step(this.#player.replay.notableAfter(this.#at)),
    );
    byId("replay-leave", HTMLButtonElement).addEventListener("click", () => this.close());
  }

  get isOpen(): boolean {
    return this.#player !== undefined;
  }

  /** Shows the run as it began. */
  open(name: string, replay: RunReplay): void {
    this.#player?.pause();
    const player = new ReplayPlayer(replay, (moment) => this.#show(moment));
    this.#player = player;
    this.#showSpeed();
    this.#bar.hidden = false;
    document.body.classList.add("replaying");
    setText(this.#title, `Replay of ${name}`);
    const skipped =
      replay.malformed === 0 ? "" : ` ${counted(replay.malformed, "line", "lines")} of the log could not be read.`;
    setText(this.#note, `From the event log: what you see was, and cannot be changed.${skipped}`);
    this.#scrub.max = String(replay.duration);
    // Its first event, not all of those that came before the run's clock began.
    player.step(0);
    this.#play.focus();
  }

  close(): void {
    if (this.#player === undefined) return;
    this.#player.pause();
    this.#player = undefined;
    this.#bar.hidden = true;
    document.body.classList.remove("replaying");
    this.#listener.left();
  }

  #toggle(): void {
    const player = this.#player;
    if (player === undefined) return;
    if (player.isPlaying) player.pause();
    else player.play();
    this.#showPlaying();
  }

  #showSpeed(): void {
    if (this.#player !== undefined) this.#player.speed = Number(this.#speed.value);
  }

  #showPlaying(): void {
    const player = this.#player;
    if (player === undefined) return;
    const isAtEnd = player.seconds >= player.replay.duration;
    setText(this.#play, player.isPlaying ? "Pause" : isAtEnd ? "Play again" : "Play");
  }

  #show(moment: ReplayMoment): void {
    const player = this.#player;
    if (player === undefined) return;
    const { replay } = player;
    const { seconds, event } = moment;
    this.#at = event;
    this.#scrub.value = String(seconds);
    const time = `${clock(Math.floor(seconds))} of ${clock(Math.floor(replay.duration))}`;
    this.#scrub.setAttribute("aria-valuetext", time);
    setText(this.#time, time);
    const last = replay.notableBefore(event + 1);
    const shown = last === undefined ? undefined : replay.eventAt(last);
    setText(
      this.#event,
      shown === undefined || last === undefined ? "" : `${clock(replay.secondsOf(last))} · ${wordsOf(shown)}`,
    );
    this.#showPlaying();
    this.#listener.moved(moment, replay);
  }
}
