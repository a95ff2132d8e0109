export async function faultMatrix(_serverUrl: string): Promise<{ tried: number; failures: string[] }> {
  return { tried: 0, failures: [] };
}
