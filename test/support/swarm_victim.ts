/** A coordinator to be killed: starts one volunteer at the address it is given and says its process id on stdout. */

import { locateBrowser } from "../../coordinator/browser/find.ts";
import { RawBrowser } from "../../coordinator/browser/raw_browser.ts";

const [, , url] = process.argv as [string, string, string];
const browser = await RawBrowser.launch({ executable: (await locateBrowser())!, url, flags: [] });
console.log(browser.pid);
setInterval(() => {}, 1000);
