// When work is done: never twice at a time, after what has been changed is shown, or once the hand rests.

/** A function that does the work, never twice at a time, and once more if it was called meanwhile. */
export function newestOnly(work, failed) {
  let busy = false;
  let again = false;
  return async () => {
    again = true;
    if (busy) return;
    busy = true;
    while (again) {
      again = false;
      await work().catch(failed);
    }
    busy = false;
  };
}

/** Call once what has been changed is on the screen: after the frame that shows it. */
export const onceShown = (call) => requestAnimationFrame(() => setTimeout(call));

/** Pause for what waits: strokes, frames. */
export const pause = (milliseconds = 0) => new Promise((done) => setTimeout(done, milliseconds));
