/** Runs one part and says how long it took; what it throws ends the run. */
export async function check<T>(what: string, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const seconds = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  try {
    const result = await work();
    console.log(`ok   ${what} (${seconds()})`);
    return result;
  } catch (error) {
    console.log(`FAIL ${what} (${seconds()})`);
    throw error;
  }
}
