/** A point that code waits at until a test opens it. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** @returns a gate that is closed */
export function createGate(): Gate {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
