/** Milliseconds of processor time since the last call of the returned function: what a limit on time means on a busy machine. */
export function stopwatch(): () => number {
  let last = process.cpuUsage();
  return () => {
    const spent = process.cpuUsage(last);
    last = process.cpuUsage();
    return (spent.user + spent.system) / 1000;
  };
}
