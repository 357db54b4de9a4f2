/**
 * Drove does not run inside another site's page: there nobody could tell whose it is, nor that it computes. The coordinator forbids
 * it by its headers; where a proxy drops those, the page refuses by itself.
 */

import { volunteerAddress } from "./addresses.ts";
import { make } from "./dom.ts";

/** True where the page is inside a frame; it then shows a sentence and a link, and nothing else. */
export function refuseEmbedding(): boolean {
  if (window.top === window) return false;
  const link = make("a", "", `Open ${volunteerAddress()} in a tab of its own`);
  link.href = volunteerAddress();
  link.target = "_blank";
  link.rel = "noopener";
  const sentence = make(
    "p",
    "",
    "This page is shown inside another site's page, where Drove does not train: nobody could see what computes, or stop it. ",
  );
  sentence.append(link, ".");
  const notice = make("main", "notice trouble embedded");
  notice.append(make("strong", "", "Drove in a frame"), sentence);
  document.body.replaceChildren(notice);
  return true;
}
