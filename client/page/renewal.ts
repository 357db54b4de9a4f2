/**
 * A page that is older than its coordinator loads itself anew, once: a mark in the tab's session storage tells a second time from
 * the first, so that it never goes in circles. The mark is taken back as soon as training goes.
 */

const MARK = "drove-renewed";

/** False where that was tried already, or cannot be remembered: then the volunteer is told instead. */
export function renewOnce(): boolean {
  try {
    if (sessionStorage.getItem(MARK) !== null) return false;
    sessionStorage.setItem(MARK, "1");
  } catch {
    return false;
  }
  location.reload();
  return true;
}

/** Whether this page is such a second try. */
export function wasRenewed(): boolean {
  try {
    return sessionStorage.getItem(MARK) !== null;
  } catch {
    return false;
  }
}

export function renewalWorked(): void {
  try {
    sessionStorage.removeItem(MARK);
  } catch {
    // There is no mark either.
  }
}
