declare module 'dynalite' {
  export default function dynalite(options?: {
    createTableMs?: number;
    deleteTableMs?: number;
    path?: string;
  }): import('node:http').Server;
}
