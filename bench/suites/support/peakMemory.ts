/**
 * The most memory that this process held while it was watched, in megabytes (RSS). Looked at often, because
 * `resourceUsage().maxRSS` begins with what the parent held when it forked.
 */
export function watchMemory(): { readonly end: () => number } {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, process.memoryUsage.rss());
  };
  const watch = setInterval(look, 10);
  look();
  return {
    end: () => {
      look();
      clearInterval(watch);
      return peak / 1e6;
    },
  };
}
