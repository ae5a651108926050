// One thing is read at a time. A new turn ends the one before: what was asked for it is
// aborted, and an answer that still comes finds that its turn is over.

export class Turns {
  begin() {
    this.end();
    this.controller = new AbortController();
    return this.controller.signal;
  }

  end() {
    this.controller?.abort();
    this.controller = null;
  }
}

// Settles as the promise does, or rejects as soon as the signal aborts.
export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason);
    if (signal.aborted) give();
    signal.addEventListener("abort", give, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", give));
  });
}
