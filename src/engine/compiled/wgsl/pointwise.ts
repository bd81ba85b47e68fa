import type { Add, Fill, Materialise } from '../calls.ts';
import type { Kernel } from '../kernels.ts';
import { bytesEach } from '../memory.ts';
import { columnSource } from './columns.ts';
import { rowLoop, rowThreads } from './loops.ts';
import { compose, viewPiece } from './pieces.ts';

export const add: Kernel<Add> = {
  cost: ({ images, pixels, a, b, out }) => {
    const size = images * pixels * out.channels;
    return { flops: 3 * size, bytes: size * (bytesEach(a.view) + bytesEach(b.view) + bytesEach(out)) };
  },
  dispatches: ({ images, pixels, a, b, out }) => {
    const first = columnSource('a', a, pixels);
    const second = columnSource('b', b, pixels);
    const result = viewPiece('out', out);
    return [
      compose(`add-a${first.key}-b${second.key}`, {
        pieces: [first, second, result],
        ...rowThreads(images * pixels, out.channels),
        declarations: `${first.code}${second.code}`,
        body: rowLoop(
          result.set('a_columnAt(columnOfA, row, c4) + b_columnAt(columnOfB, row, c4)'),
          'let columnOfA = a_column(c4); let columnOfB = b_column(c4);',
        ),
      }),
    ];
  },
};

export const materialise: Kernel<Materialise> = {
  cost: ({ images, pixels, source, out, accumulate }) => {
    const size = images * pixels * out.channels;
    return { flops: 3 * size, bytes: size * (bytesEach(source.view) + bytesEach(out) * (accumulate ? 2 : 1)) };
  },
  dispatches: ({ images, pixels, source, out, accumulate }) => {
    const reader = columnSource('source', source, pixels);
    const result = viewPiece('out', out);
    return [
      compose(`materialise-source${reader.key}${accumulate ? '-accumulate' : ''}`, {
        pieces: [reader, result],
        ...rowThreads(images * pixels, out.channels),
        declarations: reader.code,
        body: rowLoop(
          result.set(`${accumulate ? `${result.at()} + ` : ''}source_columnAt(column, row, c4)`),
          'let column = source_column(c4);',
        ),
      }),
    ];
  },
};

export const fill: Kernel<Fill> = {
  cost: ({ out }) => ({ flops: 0, bytes: bytesEach(out) * out.matrix.rows * out.channels }),
  dispatches: ({ out, value }) => {
    const result = viewPiece('out', out);
    return [
      compose('fill', {
        pieces: [result],
        ...rowThreads(out.matrix.rows, out.channels),
        floats: { value },
        body: rowLoop(result.set('vec4<f32>(u.value)')),
      }),
    ];
  },
};
