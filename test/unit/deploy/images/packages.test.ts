import { expect, test } from 'vitest';
import { images } from '../../../../deploy/images/images.ts';
import { libraryDependencies, loadedLibraries } from '../../../../deploy/images/packages.ts';

test('libraries are followed, programs and virtual packages are not', () => {
  const output = `nginx
  Depends: libc6
 |Depends: libssl3
  Depends: zlib1g
  Depends: iproute2
  Depends: <libvirtual>
  PreDepends: libcrypt1
    libelogind0
`;
  expect(libraryDependencies(output)).toEqual(['libc6', 'libssl3', 'zlib1g', 'libcrypt1']);
});

test("libraries of the unpacked tree are taken, the host's and the kernel's are not", () => {
  const output = `\tlinux-vdso.so.1 (0x00007ffc)
\tlibz.so.1 => /t/tree/lib/x86_64-linux-gnu/libz.so.1 (0x00007f01)
\tlibhost.so.1 => /usr/lib/libhost.so.1 (0x00007f02)
\tlibgone.so.1 => not found
`;
  expect(loadedLibraries(output, '/t/tree')).toEqual(['/t/tree/lib/x86_64-linux-gnu/libz.so.1']);
});

test('a base is built before the images that share its layers', () => {
  for (const [index, image] of images.entries()) {
    if (image.base === undefined) continue;
    expect(images.slice(0, index).map((earlier) => earlier.name)).toContain(image.base);
  }
});
