/** Flags of the WebGPU specification, which Node has no globals for. */
export const BufferUsage = { mapRead: 0x1, copySource: 0x4, copyDestination: 0x8, uniform: 0x40, storage: 0x80, queryResolve: 0x200 } as const;
export const ShaderStage = { compute: 0x4 } as const;
export const MapMode = { read: 0x1 } as const;
