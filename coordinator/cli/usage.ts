/** commander's complaints about a command line, as sentences of ours: what was found, what is accepted, and the way out. */

import { didYouMean } from "../closest.ts";
import { shown } from "../config_error.ts";

/** `complaint` is commander's text ("error: unknown option '--foo'"); `argumentsGiven` the command line that it is about. */
export function usageSentence(complaint: string, argumentsGiven: readonly string[]): string {
  const plain = complaint
    .replace(/^error: /, "")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim();
  const [, option, argument, value = "", choices = ""] = CHOICE.exec(plain) ?? [];
  const name = option?.split(" ")[0] ?? argument;
  if (name !== undefined) {
    const near = didYouMean(value, choices.split(", "));
    return `${name} is ${shown(value)}; accepted is one of ${choices}.${near}`;
  }
  const [, what = plain, suggestion] = /^(.*?) ?\(Did you mean (?:one of )?(.*)\?\)$/.exec(plain) ?? [];
  const told = what.replaceAll(/[()]/g, "").replace(/\.$/, "");
  const sentence = `${told.charAt(0).toUpperCase()}${told.slice(1)}`;
  const see = `see \`drove${commandOf(argumentsGiven, plain)} --help\`.`;
  return suggestion === undefined
    ? `${sentence}; ${see}`
    : `${sentence}; did you mean ${suggestion}? ${see.charAt(0).toUpperCase()}${see.slice(1)}`;
}

/** A value that is not among the choices of an option, or of an argument. */
const CHOICE =
  /^(?:option '(.+?)' argument|command-argument value(?= '.*' is invalid for argument '(.+?)')) '(.*?)' is invalid.* Allowed choices are (.*)\.$/;

/** The command whose help says more; where it is unknown, the program's. */
function commandOf([first, second]: readonly string[], complaint: string): string {
  if (first === undefined || !/^[a-z]+$/.test(first)) return "";
  const isUnknown = complaint.startsWith("unknown command");
  if (first === "data" && second !== undefined && /^[a-z]+$/.test(second) && !isUnknown) return ` data ${second}`;
  return isUnknown && first !== "data" ? "" : ` ${first}`;
}
