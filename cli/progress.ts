/** A bar on standard error for work that takes a while. */
import cliProgress from 'cli-progress';

export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

/** Shows nothing where standard error is no terminal, or where less than `least` is to do. The bar is gone when it stops. */
export function progress(what: string, least = 0): Progress {
  const bar = new cliProgress.SingleBar({ stream: process.stderr, format: `${what} {bar} {percentage}% {value}/{total}`, clearOnComplete: true, noTTYOutput: false }, cliProgress.Presets.shades_classic);
  let shown = false;
  const stop = (): void => {
    if (shown) bar.stop();
    shown = false;
  };
  return {
    update(done, total) {
      if (!shown && total - done >= least && done < total && process.stderr.isTTY) {
        bar.start(total, done);
        shown = true;
      }
      if (shown) bar.update(done);
      if (done >= total) stop();
    },
    stop,
  };
}
