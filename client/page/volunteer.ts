/**
 * The volunteer's page: says what is trained and what that takes, and once Start is pressed, shows what the Web Worker
 * reports. No worker and no socket exists before that (SPEC E4). Inside another site's page it only says why it refuses.
 */

import { refuseEmbedding } from "./embedding.ts";
import { startTheme } from "./theme.ts";
import { VolunteerPage } from "./volunteer_page.ts";

if (!refuseEmbedding()) {
  startTheme();
  await new VolunteerPage().open();
}
